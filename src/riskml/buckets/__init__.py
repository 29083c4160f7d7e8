"""A nation on one machine: monitoring tables clustered into buckets of areas, and the map of one function over them."""
