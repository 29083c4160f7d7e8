"""How far to trust the risk: simple rivals, figures with intervals, the honest backtest."""
