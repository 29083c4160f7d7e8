"""What past help did: effects of measures on return, from the monitoring history."""
