"""The words of the letter to a household, English and Chinese."""

from __future__ import annotations

#: Key -> English, Chinese. ``{}`` places are filled by the letter.
LETTER: dict[str, tuple[str, str]] = {
    "title": ("How information about your household was used", "关于使用您家信息的告知书"),
    "to": ("To household {}", "住户{}"),
    "as_of": ("Based on what was on file before {}", "依据{}之前已登记的信息"),
    "what": ("What this is about", "为什么告知您"),
    "what_text": (
        "Our office visits households to see whether they are in difficulty. A computer program helps to decide whom "
        "to visit first: it compares what is on file with what was on file of other households in earlier years. Your "
        "household is on the list it made.",
        "为了解住户是否遇到困难，本单位安排工作人员走访。走访的先后由计算机程序协助安排：程序把已登记的信息与往年其他住户的信息进行比较。"
        "您家在程序生成的名单中。",
    ),
    "estimate": (
        "Its estimate for households with records like yours: {} later fall back into poverty. It is an estimate and "
        "can be wrong. It does not judge what you have done or will do.",
        "对记录与您家相近的住户，程序的估计是：{}后来返贫。这只是估计，可能有误，不是对您家以往或今后行为的评价。",
    ),
    "decided": ("Who decides", "由谁决定"),
    "decided_text": (
        "The program decides nothing. Whether somebody visits you, and whether any help follows, is decided by people "
        "of the office named below, after they have looked at your situation. This letter is not a decision and "
        "promises no help; it takes no help away either.",
        "程序不作任何决定。是否走访、走访后是否帮扶，由下列单位的工作人员了解您家情况后决定。本告知书不是决定，不承诺给予帮扶，"
        "也不影响您已享受的帮扶。",
    ),
    "weighed": ("What weighed", "哪些信息起了作用"),
    "raising": (
        "These records weighed most towards a visit, the most important first:",
        "以下记录使您家更靠前（最重要的在前）：",
    ),
    "no_raising": ("No single record stood out towards a visit.", "没有特别突出的记录使您家更靠前。"),
    "lowering": ("These weighed the other way: records of {}.", "以下方面的记录使您家更靠后：{}。"),
    "not_cause": (
        "That a record weighed does not mean that it is the reason for a difficulty, nor that it would go away if the "
        "record were another. If a record is wrong, please tell us.",
        "某项记录起了作用，并不表示它就是困难的起因，也不表示记录改变困难就会消失。如记录有误，请告知我们。",
    ),
    "used": ("Which data were used", "使用了哪些数据"),
    "used_text": (
        "All of this was read, whether it weighed or not. Amounts are compared with the poverty line.",
        "以下信息均被读取，无论是否起作用。金额与贫困线作比较。",
    ),
    "table": ("Records", "记录"),
    "columns": ("What of them", "内容"),
    "n_records": ("Number", "条数"),
    "days": ("From – to", "起止日期"),
    "neighbours": (
        "Averages over other households of your area were used as well; they say nothing about any one of them.",
        "此外还使用了本地区其他住户的平均数，不涉及任何一户的具体情况。",
    ),
    "sensitive": (
        "Among them are traits that call for special care: {}. They were used for the estimate only; nobody may be "
        "refused help because of them.",
        "其中包括须特别慎重对待的信息：{}。这些信息仅用于估计，任何人不得因此被拒绝帮扶。",
    ),
    "rights": ("What you can do", "您的权利"),
    "contact": ("Whom to turn to", "联系单位"),
    "signed": (
        "looked at by a person (name)|date|handed over to (name)|objection or correction received on",
        "人工复核人（姓名）|日期|签收人（姓名）|收到异议或更正的日期",
    ),
}

#: What a household can do, by China's Personal Information Protection Law and the EU's GDPR.
RIGHTS: tuple[tuple[str, str], ...] = (
    (
        "Ask us to explain this letter, and to show you the records we hold.",
        "要求我们说明本告知书的内容，查阅、复制我们登记的信息。",
    ),
    ("Have wrong or missing records put right.", "要求更正、补充有误或缺失的信息。"),
    (
        "Object. A person will then look at your case again and answer you; an objection brings you no disadvantage.",
        "提出异议。我们将由工作人员重新核查并答复；提出异议不会对您产生不利影响。",
    ),
    (
        "Refuse a decision that a program alone has taken, and ask that a person takes it.",
        "拒绝仅由程序自动作出的决定，要求由工作人员作出决定。",
    ),
    (
        "Complain to the authority that watches over the protection of personal data.",
        "向履行个人信息保护职责的部门投诉、举报。",
    ),
)
