//! `/api/v1/guest-profiles`

use crate::http::problem::Refusals;
use axum::Json;
use hostd_types::{GUEST_PROFILES, GuestProfile};

/// What a guest of each operating system wants: firmware, devices, least sizes
#[utoipa::path(get, path = "/api/v1/guest-profiles", tag = "vms", responses(
    (status = 200, body = Vec<GuestProfile>), Refusals))]
pub async fn list_guest_profiles() -> Json<&'static [GuestProfile]> {
    Json(&GUEST_PROFILES)
}
