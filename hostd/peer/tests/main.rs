//! Links against each other over loopback sockets. The tests own what a member of a cluster sees of its peers; they must
//! not know how frames look.

mod authorities;
mod calls;
mod identities;
mod site;
mod streams;
