//! What templates may write after a bar: `{{ size|bytes }}`, `{{ at|when }}`, `{{ "disk"|icon }}`.
//!
//! Filters that return markup build it from our own words and from text escaped here.

use crate::deep::Deep;
use askama::filters::Safe;
use askama::{Result, Values};
use hostd_types::{Subject, Task, Timestamp, VmState};

/// A symbol of the sprite in `base.html`.
#[askama::filter_fn]
pub(crate) fn icon(name: impl std::fmt::Display, _: &dyn Values) -> Result<Safe<String>> {
    let name: String = name.to_string().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    Ok(Safe(format!(r##"<svg class="icon" aria-hidden="true"><use href="#i-{name}"/></svg>"##)))
}

/// Bytes with their unit.
#[askama::filter_fn]
pub(crate) fn bytes(value: impl Deep<u64>, _: &dyn Values) -> Result<String> {
    Ok(crate::units::bytes(value))
}

/// MiB with the fitting unit.
#[askama::filter_fn]
pub(crate) fn mib(value: impl Deep<u64>, _: &dyn Values) -> Result<String> {
    Ok(crate::units::mib(value))
}

/// A share in percent.
#[askama::filter_fn]
pub(crate) fn percent(value: impl Deep<f64>, _: &dyn Values) -> Result<String> {
    Ok(crate::units::percent(value.deep()))
}

/// How long ago, with the full moment as the hint.
#[askama::filter_fn]
pub(crate) fn when(at: impl Deep<Timestamp>, _: &dyn Values) -> Result<Safe<String>> {
    let (at, moment) = (at.deep(), crate::units::moment(at.deep()));
    Ok(Safe(format!(r#"<time datetime="{at}" title="{moment}">{}</time>"#, crate::units::ago(at))))
}

/// The moment in full.
#[askama::filter_fn]
pub(crate) fn moment(at: impl Deep<Timestamp>, _: &dyn Values) -> Result<Safe<String>> {
    let at = at.deep();
    Ok(Safe(format!(r#"<time datetime="{at}">{}</time>"#, crate::units::moment(at))))
}

/// `3 disks`.
#[askama::filter_fn]
pub(crate) fn count(n: impl std::fmt::Display, _: &dyn Values, one: &str) -> Result<String> {
    Ok(crate::units::count(&n, one))
}

/// The badge of a machine's state.
#[askama::filter_fn]
pub(crate) fn vm_badge(state: impl Deep<VmState>, _: &dyn Values) -> Result<Safe<String>> {
    let state = state.deep();
    let (tone, word) = (crate::wording::vm_tone(state), crate::wording::vm_state(state));
    Ok(Safe(format!(r#"<span class="badge {tone}" data-vm-state="{}">{word}</span>"#, state.as_str())))
}

/// The badge of a task's state.
#[askama::filter_fn]
pub(crate) fn task_badge(task: impl Deep<Task>, _: &dyn Values) -> Result<Safe<String>> {
    let task = task.deep();
    let (tone, word) = crate::wording::task_state(task);
    Ok(Safe(format!(r#"<span class="badge {tone}" data-task-state="{}">{word}</span>"#, task.state.as_str())))
}

/// A badge from its colour class and word.
#[askama::filter_fn]
pub(crate) fn badge(pair: impl Deep<(&'static str, &'static str)>, _: &dyn Values) -> Result<Safe<String>> {
    let (tone, word) = pair.deep();
    Ok(Safe(format!(r#"<span class="badge {tone}">{word}</span>"#)))
}

/// What a command does, in words.
#[askama::filter_fn]
pub(crate) fn action(name: impl AsRef<str>, _: &dyn Values) -> Result<String> {
    Ok(crate::wording::action(name.as_ref()).to_owned())
}

/// The page of a resource.
#[askama::filter_fn]
pub(crate) fn path(subject: impl Deep<Subject>, _: &dyn Values) -> Result<String> {
    Ok(crate::wording::path_of(subject.deep()))
}
