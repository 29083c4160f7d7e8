"""From training sets to risk: the classifier, its calibration, bundles and their cards, drift."""
