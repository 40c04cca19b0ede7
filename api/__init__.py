"""The HTTP door: app.py puts it together, confirmations.py has the routes, door.py the parts behind them."""
