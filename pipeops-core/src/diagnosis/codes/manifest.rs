//! Causes of refused app configurations.

pages! {}
