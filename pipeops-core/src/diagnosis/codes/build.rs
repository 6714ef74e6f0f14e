//! Causes of failed builds: Dockerfiles, instructions, daemons, caches.

pages! {}
