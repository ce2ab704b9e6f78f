//! `/api/v1`: one file a resource.

pub mod access;
pub mod appliance;
pub mod clone;
pub mod cluster;
pub mod console;
pub mod cpu;
pub mod diagnosis;
pub mod discovered;
pub mod filing;
pub mod folder;
pub mod guest_os;
pub mod host;
mod host_device;
pub mod image;
pub mod network;
pub mod snapshot;
pub mod specification;
pub mod task;
pub mod vm;
pub mod vm_device;
pub mod volume;

use super::stream;
use axum::routing::get;
use hostd_edge::{Access, Routes};
use utoipa_axum::routes;

/// Adds every route of the API.
pub fn add_all<C>(routes: Routes<C>) -> Routes<C> {
    const ALIVE: Access = Access::Public("says only that the daemon answers");
    let routes = routes
        .document(ALIVE, routes!(appliance::health))
        .document(Access::Signed, routes!(appliance::overview))
        .document(Access::Console, routes!(appliance::banner));
    access(clusters(resources(consoles(machines(routes)))))
}

/// Machines, and what is done with them.
fn machines<C>(routes: Routes<C>) -> Routes<C> {
    let signed = Access::Signed;
    routes
        .document(signed, routes!(vm::list_vms, vm::create_vm))
        .document(signed, routes!(vm::get_vm, vm::edit_vm, vm::delete_vm))
        .document(signed, routes!(vm::set_power))
        .document(signed, routes!(clone::clone_vm))
        .document(signed, routes!(clone::set_template))
        .document(signed, routes!(vm_device::attach_disk))
        .document(signed, routes!(vm_device::edit_disk, vm_device::detach_disk))
        .document(signed, routes!(vm_device::attach_nic))
        .document(signed, routes!(vm_device::edit_nic, vm_device::detach_nic))
        .document(signed, routes!(host_device::attach_host_device))
        .document(signed, routes!(host_device::detach_host_device))
        .document(signed, routes!(vm::list_vm_samples))
        .document(signed, routes!(vm::list_vm_history))
        .document(signed, routes!(vm::list_vm_seconds))
        .document(signed, routes!(diagnosis::get_vm_xml))
        .document(signed, routes!(diagnosis::get_vm_log))
        .document(signed, routes!(guest_os::list_guest_profiles))
        .document(signed, routes!(vm::list_time_zones))
        .document(signed, routes!(snapshot::list_snapshots, snapshot::create_snapshot))
        .document(signed, routes!(snapshot::get_snapshot, snapshot::delete_snapshot))
        .document(signed, routes!(snapshot::revert_snapshot))
        .document(signed, routes!(filing::batch_vms))
        .document(signed, routes!(discovered::list_discovered))
        .document(signed, routes!(discovered::adopt_discovered))
}

/// Screens and serial ports, for users and for whoever holds a link.
fn consoles<C>(routes: Routes<C>) -> Routes<C> {
    const HAS_LINK: Access =
        Access::Public("needs the secret of a link to a console, which it uses up; it is rate-limited");
    let signed = Access::Signed;
    routes
        .document(signed, routes!(vm::make_ticket))
        .document(signed, routes!(vm::get_screenshot))
        .document(signed, routes!(console::get_thumbnail))
        .document(signed, routes!(console::list_viewers))
        .document(signed, routes!(console::list_links, console::create_link))
        .document(signed, routes!(console::revoke_link))
        .document(HAS_LINK, routes!(console::redeem_link))
        .document(Access::Link, routes!(console::get_shared))
        .add("/api/v1/console", signed, get(super::console::open))
        .add("/api/v1/shared/console", Access::Link, get(super::console::open_shared))
}

/// What machines are made of, and how things are filed.
fn resources<C>(routes: Routes<C>) -> Routes<C> {
    let signed = Access::Signed;
    routes
        .document(signed, routes!(volume::list_volumes, volume::create_volume))
        .document(signed, routes!(volume::get_volume, volume::delete_volume))
        .document(signed, routes!(image::list_images, image::upload_image))
        .document(signed, routes!(image::get_image, image::delete_image))
        .document(signed, routes!(network::list_networks, network::create_network))
        .document(signed, routes!(network::get_network, network::delete_network))
        .document(signed, routes!(filing::file_vm))
        .document(signed, routes!(filing::file_volume))
        .document(signed, routes!(filing::file_image))
        .document(signed, routes!(filing::file_network))
        .document(signed, routes!(filing::list_views, filing::save_view))
        .document(signed, routes!(filing::delete_view))
        .document(signed, routes!(folder::list_folders, folder::create_folder))
        .document(signed, routes!(folder::get_folder, folder::edit_folder, folder::delete_folder))
        .document(signed, routes!(specification::list_specifications, specification::create_specification))
        .document(
            signed,
            routes!(
                specification::get_specification,
                specification::edit_specification,
                specification::delete_specification
            ),
        )
        .document(signed, routes!(specification::copy_specification))
        .document(signed, routes!(task::list_tasks))
        .document(signed, routes!(task::get_task))
        .document(signed, routes!(task::cancel_task))
        .document(signed, routes!(stream::list_events))
}

/// Hosts and what they are together.
fn clusters<C>(routes: Routes<C>) -> Routes<C> {
    const JOINS: Access = Access::Public("needs a join token, which opens this once; it is rate-limited");
    const RENEWS: Access = Access::Public(
        "needs a member's own key and a fresh nonce; only members can read the answer; it is rate-limited",
    );
    const KNOWS_CODE: Access =
        Access::Public("needs the code that this host shows for ten minutes; it dies after three tries");
    let signed = Access::Signed;
    routes
        .document(signed, routes!(host::list_hosts))
        .document(signed, routes!(host::get_host, host::edit_host))
        .document(signed, routes!(host::list_host_samples))
        .document(signed, routes!(host_device::list_host_devices))
        .document(signed, routes!(cluster::get_cluster, cluster::edit_cluster))
        .document(signed, routes!(cpu::get_cpu, cpu::choose_cpu))
        .document(signed, routes!(cluster::list_join_tokens, cluster::create_join_token))
        .document(signed, routes!(cluster::revoke_join_token))
        .document(signed, routes!(cluster::preview_join))
        .document(signed, routes!(cluster::join_cluster))
        .document(signed, routes!(cluster::leave_cluster))
        .document(signed, routes!(cluster::remove_host))
        .document(signed, routes!(cluster::set_peer))
        .document(signed, routes!(cluster::recover_cluster))
        .document(signed, routes!(cluster::rotate_authority))
        .document(
            signed,
            routes!(cluster::get_neighbours, cluster::open_neighbours, cluster::close_neighbours),
        )
        .document(signed, routes!(cluster::token_of_neighbour))
        .document(signed, routes!(cluster::rotate_without))
        .document(JOINS, routes!(cluster::preview_admission))
        .document(JOINS, routes!(cluster::admit_host))
        .document(KNOWS_CODE, routes!(cluster::answer_code))
        .document(KNOWS_CODE, routes!(cluster::grant_code))
        .document(RENEWS, routes!(cluster::greet_member))
        .document(RENEWS, routes!(cluster::renew_member))
}

/// Who may ask.
fn access<C>(routes: Routes<C>) -> Routes<C> {
    const BEFORE_LOGIN: Access = Access::Public("whoever logs in is nobody yet; it is rate-limited");
    let signed = Access::Signed;
    routes
        .document(signed, routes!(access::list_tokens, access::create_token))
        .document(signed, routes!(access::revoke_token))
        .document(BEFORE_LOGIN, routes!(access::log_in))
        .document(signed, routes!(access::who_am_i, access::log_out))
        .document(signed, routes!(access::change_password))
        .document(Access::Console, routes!(access::verify))
        .document(Access::Console, routes!(access::reset_password))
}
