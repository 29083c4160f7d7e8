"""The whole district: how many may return, where, and what if something strikes it."""
