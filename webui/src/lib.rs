//! The server-rendered pages
