//! libvirt's event loop and callbacks, by its C interface: the binding has neither domain events nor close callbacks.
//!
//! Callbacks run in the event loop's thread. They only note what happened: they call nothing of libvirt that could
//! wait, and they can't panic.

use crate::connection::{Note, Shared, locked};
use crate::error::unsupported;
use crate::stats::vm_of;
use hostd_types::{VmId, WatchdogAction};
use std::ffi::{c_char, c_int, c_void};
use std::sync::mpsc::Sender;
use std::sync::{OnceLock, Weak};
use virt::connect::Connect;
use virt::error::{Error, clear_error_callback};
use virt_sys as sys;

/// Something about a domain changed: look at it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainEvent {
    /// The machine; its id is the domain's UUID, also of a domain that Quantix did not make.
    pub vm: VmId,
    /// What happened, when looking again may not show it.
    pub told: Option<Told>,
}

/// Something that leaves no trace in a domain's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// The guest's watchdog fired; what it does.
    Watchdog(WatchdogAction),
    /// The guest's kernel panicked.
    Panicked,
    /// The guest began anew.
    Rebooted,
}

/// Registers libvirt's event loop and starts its thread, once for the process and before any connection is opened.
/// The loop is libvirt's and knows no end, so the thread lives as long as the process.
pub(crate) fn run_loop() {
    static STARTED: OnceLock<()> = OnceLock::new();
    STARTED.get_or_init(|| {
        clear_error_callback(); // else libvirt prints every error
        if let Err(error) = virt::event::event_register_default_impl() {
            tracing::error!(%error, "libvirt's event loop can't be registered");
            return;
        }
        let thread = std::thread::Builder::new().name("libvirt-events".into());
        let run = || {
            loop {
                if let Err(error) = virt::event::event_run_default_impl() {
                    tracing::error!(%error, "libvirt's event loop");
                    std::thread::sleep(std::time::Duration::from_millis(100)); // not to spin on a lasting error
                }
            }
        };
        if let Err(error) = thread.spawn(run) {
            tracing::error!(%error, "no thread for libvirt's events");
        }
    });
}

/// A callback at libvirt; dropping it takes it back.
pub(crate) struct Registration {
    connect: Connect,
    what: Registered,
}

enum Registered {
    Close,
    Event(c_int),
    /// The driver has no such callback (libvirt's in-process test driver).
    Nothing,
}

impl Drop for Registration {
    fn drop(&mut self) {
        // SAFETY: the connection is alive (we hold a reference), and the callback was registered on it. A failure (the
        // daemon is gone) only means that there is nothing to take back there.
        unsafe {
            match self.what {
                Registered::Close => {
                    sys::virConnectUnregisterCloseCallback(self.connect.as_ptr(), Some(closed));
                }
                Registered::Event(id) => {
                    sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), id);
                }
                Registered::Nothing => {}
            }
        }
    }
}

struct CloseNote {
    notes: Sender<Note>,
    session: u64,
}

/// Sends [`Note::Lost`] when `connect` is lost.
pub(crate) fn on_close(connect: &Connect, notes: Sender<Note>, session: u64) -> Result<Registration, Error> {
    let opaque = Box::into_raw(Box::new(CloseNote { notes, session }));
    // SAFETY: `opaque` stays valid until libvirt calls `free_note`, which it does exactly once, after the last call
    // of `closed`.
    let done = unsafe {
        sys::virConnectRegisterCloseCallback(connect.as_ptr(), Some(closed), opaque.cast(), Some(free_note))
    };
    if done == 0 {
        return Ok(Registration { connect: connect.clone(), what: Registered::Close });
    }
    // SAFETY: libvirt did not take `opaque`, so it is still ours.
    drop(unsafe { Box::from_raw(opaque) });
    let error = Error::last_error();
    if unsupported(&error) {
        return Ok(Registration { connect: connect.clone(), what: Registered::Nothing });
    }
    Err(error)
}

unsafe extern "C" fn closed(_: sys::virConnectPtr, reason: c_int, opaque: *mut c_void) {
    // SAFETY: `opaque` is the CloseNote given at registration, which libvirt keeps until `free_note`.
    let note = unsafe { &*opaque.cast::<CloseNote>() };
    let reason = match u32::try_from(reason).unwrap_or(0) {
        sys::VIR_CONNECT_CLOSE_REASON_EOF => "the libvirt daemon ended the connection",
        sys::VIR_CONNECT_CLOSE_REASON_KEEPALIVE => "the libvirt daemon hangs",
        sys::VIR_CONNECT_CLOSE_REASON_CLIENT => "the connection was closed",
        _ => "the connection to the libvirt daemon broke",
    };
    let _ = note.notes.send(Note::Lost { session: note.session, reason: reason.into() });
}

unsafe extern "C" fn free_note(opaque: *mut c_void) {
    // SAFETY: libvirt gives back, once, the pointer made by `Box::into_raw`.
    drop(unsafe { Box::from_raw(opaque.cast::<CloseNote>()) });
}

/// Whom domain events go to; weak, because libvirt keeps this as long as the connection that `Shared` holds.
struct Receiver(Weak<Shared>);

/// Registers for everything that can change what `domains()` shows.
pub(crate) fn on_domain_events(connect: &Connect, shared: Weak<Shared>) -> Result<Vec<Registration>, Error> {
    // SAFETY: each callback has the signature libvirt documents for its event id; libvirt's interface takes them all
    // as the generic type and calls them as what they are.
    let callbacks: [(sys::virDomainEventID, sys::virConnectDomainEventGenericCallback); 8] = unsafe {
        use std::mem::transmute as cast;
        [
            (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, Some(cast::<LifecycleFn, PlainFn>(lifecycle))),
            (sys::VIR_DOMAIN_EVENT_ID_REBOOT, Some(rebooted)),
            (sys::VIR_DOMAIN_EVENT_ID_WATCHDOG, Some(cast::<WatchdogFn, PlainFn>(watchdog))),
            (sys::VIR_DOMAIN_EVENT_ID_IO_ERROR, Some(cast::<IoErrorFn, PlainFn>(io_error))),
            (sys::VIR_DOMAIN_EVENT_ID_TRAY_CHANGE, Some(cast::<DeviceNumberFn, PlainFn>(device_number))),
            (sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, Some(cast::<DeviceFn, PlainFn>(device))),
            (sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, Some(cast::<DeviceFn, PlainFn>(device))),
            (sys::VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, Some(cast::<NumberTextFn, PlainFn>(number_text))),
        ]
    };
    let mut made = Vec::new();
    for (id, callback) in callbacks {
        let opaque = Box::into_raw(Box::new(Receiver(shared.clone())));
        let id = c_int::try_from(id).unwrap_or(0);
        // SAFETY: a null domain means all domains; `opaque` stays valid until libvirt calls `free_receiver`, once.
        let done = unsafe {
            sys::virConnectDomainEventRegisterAny(
                connect.as_ptr(),
                std::ptr::null_mut(),
                id,
                callback,
                opaque.cast(),
                Some(free_receiver),
            )
        };
        if done < 0 {
            // SAFETY: libvirt did not take `opaque`.
            drop(unsafe { Box::from_raw(opaque) });
            return Err(Error::last_error());
        }
        made.push(Registration { connect: connect.clone(), what: Registered::Event(done) });
    }
    Ok(made)
}

unsafe extern "C" fn free_receiver(opaque: *mut c_void) {
    // SAFETY: libvirt gives back, once, the pointer made by `Box::into_raw`.
    drop(unsafe { Box::from_raw(opaque.cast::<Receiver>()) });
}

/// Forgets what was known of the domain and tells the receivers.
///
/// # Safety
/// `domain` is a domain and `opaque` the registered [`Receiver`], both valid during the call.
unsafe fn note(domain: sys::virDomainPtr, told: Option<Told>, opaque: *mut c_void) {
    // SAFETY: as promised by the caller.
    let (receiver, vm) = unsafe { (&*opaque.cast::<Receiver>(), vm_of(domain)) };
    let (Some(shared), Some(vm)) = (receiver.0.upgrade(), vm) else { return };
    locked(&shared.definitions).forget(vm);
    let _ = shared.events.send(DomainEvent { vm, told }); // nobody listens: fine
}

type Domain = sys::virDomainPtr;
type Conn = sys::virConnectPtr;
type PlainFn = unsafe extern "C" fn(Conn, Domain, *mut c_void);
type LifecycleFn = unsafe extern "C" fn(Conn, Domain, c_int, c_int, *mut c_void) -> c_int;
type WatchdogFn = unsafe extern "C" fn(Conn, Domain, c_int, *mut c_void);
type IoErrorFn = unsafe extern "C" fn(Conn, Domain, *const c_char, *const c_char, c_int, *mut c_void);
type DeviceNumberFn = unsafe extern "C" fn(Conn, Domain, *const c_char, c_int, *mut c_void);
type DeviceFn = unsafe extern "C" fn(Conn, Domain, *const c_char, *mut c_void);
type NumberTextFn = unsafe extern "C" fn(Conn, Domain, c_int, *const c_char, *mut c_void);

unsafe extern "C" fn lifecycle(_: Conn, domain: Domain, what: c_int, _: c_int, opaque: *mut c_void) -> c_int {
    let crashed = u32::try_from(what) == Ok(sys::VIR_DOMAIN_EVENT_CRASHED);
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, crashed.then_some(Told::Panicked), opaque) };
    0
}

unsafe extern "C" fn watchdog(_: Conn, domain: Domain, action: c_int, opaque: *mut c_void) {
    let action = match u32::try_from(action).unwrap_or(0) {
        sys::VIR_DOMAIN_EVENT_WATCHDOG_PAUSE => WatchdogAction::Pause,
        sys::VIR_DOMAIN_EVENT_WATCHDOG_RESET => WatchdogAction::Reset,
        sys::VIR_DOMAIN_EVENT_WATCHDOG_POWEROFF | sys::VIR_DOMAIN_EVENT_WATCHDOG_SHUTDOWN => {
            WatchdogAction::Poweroff
        }
        _ => WatchdogAction::None,
    };
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, Some(Told::Watchdog(action)), opaque) };
}

unsafe extern "C" fn rebooted(_: Conn, domain: Domain, opaque: *mut c_void) {
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, Some(Told::Rebooted), opaque) };
}

unsafe extern "C" fn io_error(
    _: Conn,
    domain: Domain,
    _: *const c_char,
    _: *const c_char,
    _: c_int,
    opaque: *mut c_void,
) {
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, None, opaque) };
}

unsafe extern "C" fn device_number(_: Conn, domain: Domain, _: *const c_char, _: c_int, opaque: *mut c_void) {
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, None, opaque) };
}

unsafe extern "C" fn device(_: Conn, domain: Domain, _: *const c_char, opaque: *mut c_void) {
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, None, opaque) };
}

unsafe extern "C" fn number_text(_: Conn, domain: Domain, _: c_int, _: *const c_char, opaque: *mut c_void) {
    // SAFETY: libvirt passes a live domain and our opaque pointer.
    unsafe { note(domain, None, opaque) };
}
