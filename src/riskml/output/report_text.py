"""The words of the report, English and Chinese."""

from __future__ import annotations

#: Key -> English, Chinese. ``{}`` places are filled by the report.
TEXT: dict[str, tuple[str, str]] = {
    "title": ("Households at risk of falling back into poverty", "返贫风险住户监测名单"),
    "as_of": ("As of {}", "截至{}"),
    "decides": (
        "The list ranks visits. It decides nothing about anybody: a person who knows the household does.",
        "本名单只用于安排走访先后，不对任何住户作出结论；是否帮扶由了解该户的工作人员决定。",
    ),
    "summary": ("Summary", "概要"),
    "n_listed": ("households on the list", "名单户数"),
    "expected_returns": ("of them expected to return to poverty", "其中预计返贫户数"),
    "n_funded": ("households with a measure proposed", "拟给予帮扶户数"),
    "plan_cost": ("planned cost", "计划费用"),
    "averted": ("returns expected to be averted", "预计避免返贫户数"),
    "between": ("between {} and {}", "区间{}至{}"),
    "n_entered": ("new on the list", "新进入名单"),
    "n_left": ("off the list", "退出名单"),
    "causes": ("Causes over the list", "名单致贫风险原因分布"),
    "causes_note": (
        "Number of households with the cause among the first three that raise their risk, and points of risk it adds "
        "on average over the whole list.",
        "该原因位列前三的户数，以及其对全部名单住户风险的平均贡献（百分点）。",
    ),
    "cause": ("Cause", "原因"),
    "households": ("Households", "户数"),
    "mean_points": ("Points on average", "平均百分点"),
    "ranking": ("The list", "名单"),
    "rank": ("Rank", "序号"),
    "household": ("Household", "住户"),
    "area": ("Area", "地区"),
    "risk": ("Risk", "风险"),
    "interval": ("Interval", "区间"),
    "why": ("Why", "原因说明"),
    "measure": ("Measure proposed", "拟帮扶措施"),
    "more_rows": ("{} more households follow in the table of the list.", "其余{}户见名单数据表。"),
    "risk_net": ("Net of assistance", "扣除转移性收入后"),
    "net_note": (
        "Net of assistance: the risk if what the household earns had to do without public transfers. Where the two lie "
        "far apart, the household is above the line because it is helped.",
        "扣除转移性收入后：不计公共转移性收入时的风险。两者相差较大，说明该户目前在线以上是因为有帮扶。",
    ),
    "cliff": ("Support that ends within three months", "未来三个月内到期的帮扶"),
    "cliff_n": (
        "{} households, {} of them not on this list. Those at highest risk net of assistance come first.",
        "共{}户，其中{}户不在本名单上。按扣除转移性收入后的风险由高到低排列。",
    ),
    "cliff_note": (
        "Only what was entered by the date above: a renewal that nobody has entered yet looks like an end, and support "
        "without an end date is not here. Net of assistance takes away all public transfers, also those that go on, "
        "and none of the help that is not paid as income.",
        "只依据上述日期之前已录入的信息：尚未录入的续期会显示为到期，没有到期日的帮扶不在此列。"
        "扣除的是全部公共转移性收入（包括仍将继续的），不包括不以收入形式发放的帮扶。",
    ),
    "cliff_more": ("{} more follow in the table of support that ends.", "其余{}户见帮扶到期表。"),
    "ends_first": ("Ends first", "最先到期"),
    "ends_on": ("Last day", "到期日"),
    "on_list": ("Place on the list", "名单位次"),
    "all_support": ("All support", "全部帮扶"),
    "support_until": ("Support that runs: {}. The first to end does so on {}.", "正在享受的帮扶：{}。最先到期日：{}。"),
    "support_open": ("Support that runs: {}. No end is known.", "正在享受的帮扶：{}。未录入到期日。"),
    "on_file": (
        "Adverse records on file (last 12 months, or as it stands): {}",
        "不利记录（近12个月内，或目前状况）：{}",
    ),
    "on_file_note": ("What happened, not why the risk is high.", "说明发生过什么，不说明风险为何较高。"),
    "net_of": ("Net of assistance {}", "扣除转移性收入后{}"),
    "look": ("Go and look", "需要上门核实"),
    "look_sure": (
        "The list of {} ends at a risk of {}. {} of the households on it surely belong there: the whole interval of "
        "their risk lies above that. For the {} others on it the records cannot tell.",
        "名单共{}户，止于风险{}。其中{}户的风险区间全部高于该值，确定应列入；其余{}户仅凭记录无法判断。",
    ),
    "look_below": (
        "Nor can they for {} households below the list, of whom the first are:",
        "名单之下还有{}户同样无法判断，排在最前的是：",
    ),
    "look_note": (
        "Someone who goes there can tell. Whoever is on no list of this page has an interval wholly below that risk, "
        "which is not certainty: it rests on records too.",
        "上门走访才能判断。未列入本页的住户，其风险区间全部低于该值，但这也只是依据记录，并非定论。",
    ),
    "look_more": ("{} more follow in the table of everybody scored.", "其余{}户见全部住户的评分表。"),
    "outlook": ("Could whole areas fall back?", "会不会出现规模性返贫？"),
    "outlook_note": (
        "How many households at risk may return, area by area. Households of an area fall together, so that the number "
        "spreads wider around the expected one than single risks say; how wide was learned from earlier dates. An "
        "alarm is a reason to go and look, not a finding.",
        "各地区监测范围内的住户可能有多少户返贫。同一地区的住户往往同时受影响，实际户数的波动大于逐户风险的简单相加；"
        "波动幅度由以往日期的检验得出。预警只是上门核实的理由，不是结论。",
    ),
    "outlook_whole": (
        "Of {} households {} are expected to return; with 95% between {} and {}. The probability that more than {}% "
        "return is {}.",
        "共{}户，预计返贫{}户，95%区间{}至{}户；返贫户超过{}%的概率为{}。",
    ),
    "outlook_none": ("No area is alarmed.", "没有地区达到预警标准。"),
    "outlook_more": ("{} more alarms follow in the table of the outlook.", "其余{}条预警见展望数据表。"),
    "outlook_expected": ("Expected", "预计返贫"),
    "outlook_share": ("Share", "占比"),
    "outlook_interval": ("{}% interval", "{}%区间"),
    "outlook_probability": ("Probability of more than {}%", "超过{}%的概率"),
    "plan": ("What is proposed, and what the budget leaves out", "拟帮扶安排与未安排原因"),
    "plan_note": (
        "Returns averted are computed from the effect assumed for each measure, whose source stands beside it. They "
        "are not a finding of the model: points say what a risk rests on, not what help would change.",
        "预计避免返贫户数按各项措施的设定效果计算，效果来源见表。这不是模型得出的结论：百分点说明风险依据什么，"
        "不说明帮扶会带来多大改变。",
    ),
    "plan_limits": ("What the plan uses, and what one more would avert", "限额使用情况及增加一单位的作用"),
    "plan_limits_note": (
        "Returns averted by one more unit if the plan were made again with it, by the same effects; below zero: what "
        "asking for one more of a floor costs.",
        "按同样的效果设定，增加一单位后重新编制计划可多避免的返贫户数；负数表示下限每提高一单位的代价。",
    ),
    "limit": ("Limit", "限额"),
    "used": ("Used", "已用"),
    "of_amount": ("Of", "总量"),
    "worth": ("One more averts", "增加一单位可多避免"),
    "per_money": ("per 10,000", "（每万元）"),
    "per_place": ("per household", "（每户）"),
    "price_unknown": ("not known", "无法估计"),
    "left_out": ("Without a measure, at highest risk", "未安排帮扶、风险最高的住户"),
    "left_out_note": (
        "Nothing is proposed for them from this money. They may still be visited, and rights they have do not depend "
        "on this plan.",
        "本计划的资金未安排这些住户。仍可走访；其依法应享受的待遇不受本计划影响。",
    ),
    "cost": ("Cost", "费用"),
    "source": ("Source of the effect", "效果来源"),
    "none": ("no measure: {}", "未安排：{}"),
    "changes": ("Who entered and who left since the last list", "与上期名单相比新进入与退出的住户"),
    "change": ("Change", "变化"),
    "entered": ("entered", "新进入"),
    "left": ("left", "退出"),
    "before": ("Rank before", "上期序号"),
    "now": ("Rank now", "本期序号"),
    "cards": ("Household cards", "住户卡片"),
    "card_of": ("Rank {} of {}", "第{}位，共{}户"),
    "risk_of": ("Risk {}", "返贫风险{}"),
    "steps": (
        "From the starting point of all households to the risk of this one, in percentage points",
        "由全体住户的起点到该户的风险（百分点）",
    ),
    "start": ("starting point", "起点"),
    "rest": ("all other causes", "其余原因"),
    "total": ("risk of this household", "该户风险"),
    "actionable": ("What help can change", "帮扶可以改变的方面"),
    "points_actionable": (
        "All records on which help can act: {} points. Points say what the risk rests on, not how far help would lower "
        "it.",
        "帮扶可以作用的全部记录合计{}个百分点。百分点说明风险依据什么，不说明帮扶能使其降低多少。",
    ),
    "fixed": ("What it cannot", "帮扶不能改变的方面"),
    "fixed_note": (
        "Age, the number of members, what happened before: to be known when choosing help, not a reason to refuse it.",
        "年龄、家庭人口、以往经历等：供选择帮扶方式时了解，不作为不予帮扶的理由。",
    ),
    "nothing_actionable": (
        "None of the leading reasons is something help changes directly; ask on the visit.",
        "主要原因均不是帮扶能直接改变的，请走访时了解。",
    ),
    "table": ("Table", "数据表"),
    "date": ("Date", "日期"),
    "known_on": ("Known on", "获知日期"),
    "column": ("Entry", "项目"),
    "value": ("Value", "数值"),
    "more_records": ("and {} earlier records", "另有{}条较早记录"),
    "proposed": ("Proposed", "拟帮扶措施"),
    "no_measure": ("No measure is proposed: {}.", "未安排措施：{}。"),
    "for_cause": (
        "for {}, cost {}, expected to take away {} points of risk (effect: {})",
        "针对{}，费用{}，预计降低风险{}个百分点（效果来源：{}）",
    ),
    "review": ("Decision of the reviewer", "审核意见"),
    "review_fields": (
        "visited on|what was found|decision and its reason|name, date",
        "走访日期|核实情况|处理决定及理由|审核人、日期",
    ),
    "quality": ("How good the list is", "名单效果检验"),
    "quality_note": (
        "On later dates than the model learned from, beside simple rivals judged on the same households; in brackets "
        "95% intervals.",
        "以模型未学习过的较晚时点检验，并与同一批住户上的简单方法比较；括号内为95%区间。",
    ),
    "model": ("Model", "方法"),
    "no_figures": (
        "No figures out of time were given to this report. Do not use a list of unknown quality.",
        "本报告未附样本外检验结果。效果不明的名单不应使用。",
    ),
    "missed": ("Whom such a list missed", "这样的名单漏掉了谁"),
    "missed_note": (
        "On the same later dates, by group. Where more returns are missed, they must be found in other ways too.",
        "在同样的较晚时点上，按组别统计。漏掉比例较高的组别，需要用其他方式发现。",
    ),
    "about": ("The model", "模型信息"),
    "limits": ("What this cannot tell", "本名单不能说明什么"),
    "made_by": ("Made with riskml {}.", "由 riskml {} 生成。"),
}

#: What no report of this kind can tell.
LIMITS: tuple[tuple[str, str], ...] = (
    (
        "Whether a household will return to poverty: of those with a risk of 20%, about one in five does.",
        "某一户是否一定返贫：风险为20%的住户中，大约每五户有一户返贫。",
    ),
    (
        "What brought it about. Causes show which records the score rests on; they may stand for something not "
        "recorded.",
        "真正的起因。所列原因只说明评分依据哪些记录，其背后可能另有未记录的情况。",
    ),
    (
        "What help would change. Aid goes to households in need, so that help and risk go together in the records.",
        "帮扶会带来多大改变。帮扶本来就给予有需要的住户，因此记录中帮扶与风险往往同时出现。",
    ),
    (
        "Anything that nobody recorded or that was entered after the date above. A household without records may be at "
        "risk all the same.",
        "未被记录或在上述日期之后才录入的情况。没有记录的住户同样可能有风险。",
    ),
    (
        "That a household not on the list needs nothing. The list is as long as somebody chose it to be.",
        "名单之外的住户不需要帮扶。名单长短是人为确定的。",
    ),
    (
        "Who should be refused help: it was not made for that and must not be used for it.",
        "谁不应得到帮扶：本名单不为此制作，也不得用于此目的。",
    ),
)

#: Names of the tables in words.
TABLE_NAMES: dict[str, tuple[str, str]] = {
    "households": ("households", "住户"),
    "members": ("members", "家庭成员"),
    "incomes": ("incomes", "收入"),
    "welfare": ("income or consumption", "收入或消费"),
    "medical": ("medical bills", "医疗费用"),
    "schooling": ("schooling", "就学"),
    "housing": ("housing", "住房"),
    "water": ("drinking water", "饮水"),
    "employment": ("employment", "就业"),
    "production": ("production", "生产经营"),
    "disasters": ("disasters and accidents", "灾害与意外"),
    "assistance": ("assistance", "帮扶"),
    "visits": ("visits", "走访"),
    "status": ("monitoring category", "监测类别"),
    "coping": ("ways of getting by", "应对方式"),
    "traits": ("household traits", "住户特征"),
}

#: Names of columns in English where the column's own name says too little.
COLUMN_NAMES_EN: dict[str, str] = {
    "welfare": "level, per head and year",
    "welfare_net": "level without public transfers",
    "private": "pensions and private transfers",
    "concern": "officer's concern",
    "declared": "own declaration",
    "hazard": "prone to hazards",
    "away": "away from home",
    "informal": "without contract",
}

#: Names of the columns in Chinese.
COLUMN_NAMES_ZH: dict[str, str] = {
    "welfare": "人均水平（折合年）",
    "welfare_net": "扣除转移性收入后的人均水平",
    "wage": "工资性收入",
    "business": "经营性收入",
    "property": "财产性收入",
    "transfers": "转移性收入",
    "private": "养老金及私人转移",
    "expenses": "生产经营支出",
    "total": "纯收入",
    "value": "数值",
    "cost": "费用",
    "out_of_pocket": "自付费用",
    "serious": "大病",
    "enrolled": "在校",
    "dropped_out": "辍学",
    "stage": "学段",
    "grade": "等级",
    "rooms": "居住房间数",
    "hazard": "处于隐患地点",
    "away": "外出务工",
    "public_post": "公益性岗位",
    "informal": "无合同或未参保",
    "self_employed": "自营",
    "hours": "每周工时",
    "loss": "损失",
    "price_change": "价格变化",
    "severity": "严重程度",
    "amount": "金额",
    "declared": "自主申报",
    "concern": "干部研判",
    "spent_savings": "动用储蓄",
    "borrowed_family": "向亲友借款",
    "borrowed_bank": "向银行或放贷人借款",
    "bought_on_credit": "赊账或分期",
    "sold_belongings": "变卖财物",
    "children_worked": "子女务工补贴家用",
    "disability": "残疾",
    "chronic": "慢性病",
    "insured": "参加医保",
    "in_school": "在校",
    "education": "受教育程度",
    "labour": "劳动能力",
    "head": "户主",
    "birth": "出生日期",
    "sex": "性别",
    "lifted_on": "脱贫日期",
    "kind": "类型",
    "measure": "措施",
    "category": "类别",
}

#: Figures shown of an evaluation, in this order.
FIGURES: dict[str, tuple[str, str]] = {
    "auroc": ("AUROC", "AUROC"),
    "average_precision": ("average precision", "平均精确率"),
    "brier": ("Brier score", "Brier分数"),
    "calibration_slope": ("calibration slope", "校准斜率"),
}
#: A figure at a quota, as "recall@10%".
FIGURE_AT_QUOTA: dict[str, tuple[str, str]] = {
    "recall": ("later returns on a list of {}", "{}名单覆盖的后续返贫"),
}
