//! Causes of a missing language or Dockerfile.

pages! {}
