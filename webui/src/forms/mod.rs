//! What people type, read into commands: the only parsing in the crate. Errors carry the JSON pointers of the API's
//! bodies, so that the product's own refusals and these land beside the same fields.

pub(crate) mod choice;
pub(crate) mod clone;
pub(crate) mod cluster;
pub(crate) mod cpu;
pub(crate) mod customize;
pub(crate) mod device;
pub(crate) mod disk;
pub(crate) mod drives;
pub(crate) mod filing;
pub(crate) mod host_device;
pub(crate) mod link;
pub(crate) mod memory;
pub(crate) mod network;
pub(crate) mod options;
pub(crate) mod shares;
pub(crate) mod snapshot;
pub(crate) mod token;
pub(crate) mod tuning;
pub(crate) mod vm;
pub(crate) mod vm_edit;
pub(crate) mod volume;
