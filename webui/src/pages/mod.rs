//! One module a page: its template, its handlers, nothing else.

pub(crate) mod account;
pub(crate) mod cluster;
pub(crate) mod cluster_move;
pub(crate) mod console;
pub(crate) mod discovered;
pub(crate) mod events;
pub(crate) mod folders;
pub(crate) mod help;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod login;
pub(crate) mod networks;
pub(crate) mod overview;
pub(crate) mod saved;
pub(crate) mod specifications;
pub(crate) mod tasks;
pub(crate) mod tokens;
pub(crate) mod vm;
pub(crate) mod vm_batch;
pub(crate) mod vm_clone;
pub(crate) mod vm_customization;
pub(crate) mod vm_delete;
pub(crate) mod vm_device;
pub(crate) mod vm_diagnosis;
pub(crate) mod vm_filing;
pub(crate) mod vm_hardware;
pub(crate) mod vm_new;
pub(crate) mod vm_new_devices;
pub(crate) mod vm_snapshots;
pub(crate) mod vms;
pub(crate) mod volumes;

use crate::error::PageError;
use axum::response::Response;
use axum::routing::{get, post};
use hostd_edge::Access::{Public, Signed};
use hostd_edge::Routes;

/// What a handler of a page answers.
pub(crate) type Answer = Result<Response, PageError>;

/// Adds every page.
pub(crate) fn routes(routes: Routes<()>) -> Routes<()> {
    machines(routes)
        .add("/login", Public("shows a form and checks a password"), get(login::show).post(login::log_in))
        .add("/logout", Signed, post(login::log_out))
        .add("/", Signed, get(overview::show))
        .add("/consoles", Signed, get(console::dock))
        .add("/shared", Public("shows nothing without the secret of a link"), get(console::shared))
        .add("/folders", Signed, get(folders::show).post(folders::create))
        .add("/folders/{id}", Signed, get(folders::show_one).post(folders::edit))
        .add("/folders/{id}/delete", Signed, post(folders::delete))
        .add("/specifications", Signed, get(specifications::show).post(specifications::create))
        .add("/specifications/new", Signed, get(specifications::show_new))
        .add("/specifications/{id}", Signed, get(specifications::show_one).post(specifications::edit))
        .add("/specifications/{id}/copy", Signed, post(specifications::copy))
        .add("/specifications/{id}/delete", Signed, post(specifications::delete))
        .add("/views", Signed, post(saved::save))
        .add("/views/{id}/delete", Signed, post(saved::delete))
        .add("/tags", Signed, post(saved::tag))
        .add_multipart("/images", Signed, get(images::show).post(images::upload).layer(images::no_limit()))
        .add("/images/{id}/delete", Signed, post(images::delete))
        .add("/volumes", Signed, get(volumes::show).post(volumes::create))
        .add("/volumes/{id}/delete", Signed, post(volumes::delete))
        .add("/networks", Signed, get(networks::show).post(networks::create))
        .add("/networks/{id}/delete", Signed, post(networks::delete))
        .add("/cluster", Signed, get(cluster::show))
        .add("/cluster/settings", Signed, get(cluster::back).post(cluster::edit))
        .add("/cluster/cpu", Signed, get(cluster::back).post(cluster::choose_cpu))
        .add("/cluster/tokens", Signed, get(cluster::back).post(cluster::create_token))
        .add("/cluster/tokens/{id}/revoke", Signed, post(cluster::revoke_token))
        .add("/cluster/hosts/{id}/remove", Signed, post(cluster::remove))
        .add("/cluster/hosts/{id}/address", Signed, post(cluster::set_peer))
        .add("/cluster/neighbours", Signed, get(cluster::back).post(cluster_move::neighbours))
        .add("/cluster/neighbours/join", Signed, get(cluster::back).post(cluster_move::by_code))
        .add("/cluster/rotation", Signed, get(cluster::back).post(cluster::rotate))
        .add("/cluster/preview", Signed, get(cluster::back).post(cluster_move::preview))
        .add("/cluster/join", Signed, get(cluster::back).post(cluster_move::join))
        .add("/cluster/leave", Signed, get(cluster::back).post(cluster_move::leave))
        .add("/host", Signed, get(host::show))
        .add("/host/{id}", Signed, get(host::show_one))
        .add("/host/rename", Signed, post(host::rename))
        .add("/tasks", Signed, get(tasks::show))
        .add("/tasks/{id}", Signed, get(tasks::show_one))
        .add("/tasks/{id}/cancel", Signed, post(tasks::cancel))
        .add("/events", Signed, get(events::show))
        .add("/tokens", Signed, get(tokens::show).post(tokens::create))
        .add("/tokens/{id}/revoke", Signed, post(tokens::revoke))
        .add("/account", Signed, get(account::show))
        .add("/account/password", Signed, post(account::change_password))
        .add("/account/theme", Signed, post(account::choose_theme))
        .add("/help", Signed, get(help::index))
        .add("/help/{topic}", Signed, get(help::topic))
}

/// Those of machines.
fn machines(routes: Routes<()>) -> Routes<()> {
    routes
        .add("/vms", Signed, get(vms::show).post(vm_new::create))
        .add("/vms/new", Signed, get(vm_new::show))
        .add("/vms/batch", Signed, post(vm_batch::act))
        .add("/vms/discovered", Signed, get(discovered::show))
        .add("/vms/discovered/{host}/{id}/adopt", Signed, post(discovered::adopt))
        .add("/vms/{id}", Signed, get(vm::show))
        .add("/vms/{id}/console", Signed, get(console::show))
        .add("/vms/{id}/links", Signed, get(console::back).post(console::share))
        .add("/vms/{id}/links/{link}/revoke", Signed, post(console::revoke))
        .add("/vms/{id}/events", Signed, get(vm::events))
        .add("/vms/{id}/diagnosis", Signed, get(vm_diagnosis::show))
        .add("/vms/{id}/snapshots", Signed, get(vm_snapshots::show).post(vm_snapshots::create))
        .add("/vms/{id}/snapshots/{snapshot}/revert", Signed, post(vm_snapshots::revert))
        .add("/vms/{id}/snapshots/{snapshot}/delete", Signed, post(vm_snapshots::delete))
        .add("/vms/{id}/clone", Signed, get(vm_clone::show).post(vm_clone::create))
        .add("/vms/{id}/try", Signed, post(vm_clone::test))
        .add("/vms/{id}/discard", Signed, post(vm_clone::discard))
        .add("/vms/{id}/template", Signed, post(vm_clone::template))
        .add("/vms/{id}/power", Signed, post(vm::power))
        .add("/vms/{id}/hardware", Signed, get(vm_hardware::show))
        .add("/vms/{id}/customization", Signed, get(vm_customization::show).post(vm_customization::edit))
        .add("/vms/{id}/edit", Signed, post(vm_hardware::edit))
        .add("/vms/{id}/disks", Signed, post(vm_device::attach_disk))
        .add("/vms/{id}/disks/{volume}/grow", Signed, post(vm_device::grow_disk))
        .add("/vms/{id}/disks/{volume}/options", Signed, post(vm_device::tune_disk))
        .add("/vms/{id}/disks/{volume}/detach", Signed, post(vm_device::detach_disk))
        .add("/vms/{id}/nics", Signed, post(vm_device::attach_nic))
        .add("/vms/{id}/nics/{mac}/edit", Signed, post(vm_device::edit_nic))
        .add("/vms/{id}/nics/{mac}/detach", Signed, post(vm_device::detach_nic))
        .add("/vms/{id}/host-devices", Signed, post(vm_device::attach_host_device))
        .add("/vms/{id}/host-devices/{device}/detach", Signed, post(vm_device::detach_host_device))
        .add("/vms/{id}/delete", Signed, get(vm_delete::show).post(vm_delete::delete))
        .add("/vms/{id}/filing", Signed, get(vm_filing::show).post(vm_filing::edit))
}
