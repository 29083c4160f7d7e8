"""Why a risk is what it is: contributions by cause, the records behind them, words."""
