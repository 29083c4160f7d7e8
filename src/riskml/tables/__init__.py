"""From files to monitoring data: the contract of the tables, reading, validation, versions, lines, quality rules."""
