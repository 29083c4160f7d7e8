"""From risks to areas: how many may return, where to raise the alarm, what a shock would do."""
