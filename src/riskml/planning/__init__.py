"""What help fits: the table of measures, eligibility, the best choice under a budget."""
