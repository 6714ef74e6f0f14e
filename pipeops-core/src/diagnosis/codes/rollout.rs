//! Causes of failed rollouts: pods, image pulls, cluster, records.

pages! {}
