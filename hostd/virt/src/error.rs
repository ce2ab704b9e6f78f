//! What goes wrong when libvirt is asked for something.

use hostd_types::VmId;
use virt::error::Error;
use virt_sys as sys;

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VirtError {
    /// libvirt does not answer; the text says why, for people.
    #[error("libvirt does not answer: {0}")]
    Down(String),
    /// libvirt knows no domain of this id.
    #[error("there is no domain {0}")]
    NoDomain(VmId),
    /// The call failed.
    #[error("{operation}: {message}")]
    Call {
        /// What was asked for, such as `start`.
        operation: &'static str,
        /// libvirt's words, or ours when the call was late.
        message: String,
        /// libvirt's error number (`virErrorNumber`); 68 (`VIR_ERR_OPERATION_TIMEOUT`) when the call was late.
        code: i32,
    },
}

impl VirtError {
    /// The same call may succeed a little later without anybody changing anything.
    pub fn retryable(&self) -> bool {
        match self {
            VirtError::Down(_) => true,
            VirtError::NoDomain(_) => false,
            VirtError::Call { code, .. } => *code == code_of(sys::VIR_ERR_OPERATION_TIMEOUT),
        }
    }

    /// A call of `operation` that did not end within `seconds`.
    pub(crate) fn late(operation: &'static str, seconds: u64) -> Self {
        VirtError::Call {
            operation,
            message: format!("no result within {seconds} s"),
            code: code_of(sys::VIR_ERR_OPERATION_TIMEOUT),
        }
    }

    /// A failure of ours around a call, such as a directory that can't be made.
    pub(crate) fn local(operation: &'static str, message: impl std::fmt::Display) -> Self {
        VirtError::Call { operation, message: message.to_string(), code: code_of(sys::VIR_ERR_SYSTEM_ERROR) }
    }

    /// Sorts libvirt's error of `operation` on domain `vm`.
    pub(crate) fn from_call(operation: &'static str, vm: Option<VmId>, error: &Error) -> Self {
        let message = error.message().to_owned();
        match (error.code().to_raw(), vm) {
            (sys::VIR_ERR_NO_DOMAIN, Some(vm)) => VirtError::NoDomain(vm),
            _ if lost(error) => VirtError::Down(message),
            (code, _) => VirtError::Call { operation, message, code: code_of(code) },
        }
    }
}

/// The connection itself failed, not the request.
pub(crate) fn lost(error: &Error) -> bool {
    let domain = error.domain().to_raw();
    domain == sys::VIR_FROM_RPC || error.code().to_raw() == sys::VIR_ERR_NO_CONNECT
}

/// `error` says that the domain's state does not fit, for example that it runs already.
pub(crate) fn wrong_state(error: &Error) -> bool {
    error.code().to_raw() == sys::VIR_ERR_OPERATION_INVALID
}

/// The driver has no such call.
pub(crate) fn unsupported(error: &Error) -> bool {
    error.code().to_raw() == sys::VIR_ERR_NO_SUPPORT
}

fn code_of(raw: u32) -> i32 {
    i32::try_from(raw).unwrap_or(i32::MAX)
}
