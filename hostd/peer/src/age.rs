//! What becomes of a peer whose certificate is not valid now.
//!
//! A member's certificate that an authority of the cluster signed is
//!
//! - accepted while it is valid;
//! - accepted with a warning before it begins: the clock of whoever signed it, or ours, is off, and nobody gains
//!   anything by a certificate from the future;
//! - refused after its end, if our own clock is plausible;
//! - accepted with a warning after its end, if our own clock is not plausible: then it is our clock that is wrong, and
//!   refusing would cut this host from its whole cluster. The members with right clocks still refuse.
//!
//! Our own clock is plausible when it is inside the validity of our own certificate and not before [`PLAUSIBLE_FROM`].
//! What revokes a certificate is the removal of its member, which [`Serve::admits`](crate::Serve::admits) knows, and not
//! its end. The ends of authorities are not looked at: one is trusted while the cluster lists it.

use crate::Validity;
use hostd_types::Timestamp;

/// The first moment of 2026, seconds since the Unix epoch: the clock of a host that runs this program is not before it.
const PLAUSIBLE_FROM: i64 = 1_767_225_600;

/// What the dates of a peer's certificate mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It is valid.
    Valid,
    /// A clock is wrong somewhere; accept and warn.
    Doubtful,
    /// Refuse.
    Expired,
}

/// Whether our clock may be right, by our own certificate.
pub(crate) fn plausible(now: Timestamp, own: Validity) -> bool {
    now.unix() >= PLAUSIBLE_FROM && own.starts <= now && now <= own.ends
}

/// Judges the dates of a peer's certificate by our clock and our own certificate.
pub(crate) fn judge(now: Timestamp, own: Validity, peer: Validity) -> Age {
    if peer.starts <= now && now <= peer.ends {
        Age::Valid
    } else if now > peer.ends && plausible(now, own) {
        Age::Expired
    } else {
        Age::Doubtful
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_unix(PLAUSIBLE_FROM).plus_seconds(n * 86_400)
    }

    fn days(starts: i64, ends: i64) -> Validity {
        Validity { starts: day(starts), ends: day(ends) }
    }

    #[test]
    fn a_wrong_clock_warns_and_an_ended_certificate_is_refused() {
        let (own, peer) = (days(100, 190), days(60, 150));
        for (now, expected, why) in [
            (120, Age::Valid, "all is well"),
            (150, Age::Valid, "the last moment"),
            (151, Age::Expired, "it ended and our clock is right"),
            (190, Age::Expired, "the last moment our clock is plausible"),
            (191, Age::Doubtful, "our own ended, too: who knows what time it is"),
            (3650, Age::Doubtful, "our clock is ten years ahead"),
            (59, Age::Doubtful, "it has not begun"),
            (-3650, Age::Doubtful, "our clock is ten years behind"),
        ] {
            assert_eq!(judge(day(now), own, peer), expected, "day {now}: {why}");
        }
    }

    #[test]
    fn before_the_product_existed_no_clock_is_plausible() {
        // Both were signed by a host whose clock stood in the past.
        let (own, peer) = (days(-400, -310), days(-500, -410));
        assert_eq!(judge(day(-350), own, peer), Age::Doubtful);
    }

    #[test]
    fn a_peer_signed_by_a_clock_ahead_is_let_in() {
        assert_eq!(judge(day(120), days(100, 190), days(3000, 3090)), Age::Doubtful);
    }
}
