//! Dockerfiles: read as BuildKit reads them, build arguments filtered by what they declare, and generated where a
//! repository has none.
