"""What people read: the watchlist and its changes, cards, the report, pictures."""
