"""From monitoring data to training sets: declared features, the point-in-time kernel, cohort, labels, splits."""
