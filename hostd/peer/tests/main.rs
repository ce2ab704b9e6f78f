//! Links against each other over loopback sockets. The tests own what a member of a cluster sees of its peers, and what
//! strangers do to it.

mod authorities;
mod calls;
mod hostile;
mod identities;
mod pinned;
mod site;
mod streams;
