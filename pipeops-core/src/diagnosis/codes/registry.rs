//! Causes of failed logins, pulls and pushes.

pages! {}
