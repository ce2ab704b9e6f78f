//! hostd-net against a real kernel: every case runs in a process of its own with its own network, mount and process
//! namespaces, so that nothing of it touches the machine or another case.

mod bridged;
mod isolated;
mod links;
mod nat;
mod place;
mod talk;
