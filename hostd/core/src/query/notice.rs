//! Conditions that every page shows on top.

use crate::pool::human;
use crate::{Core, Notice, NoticeLevel};
use hostd_types::PoolFacts;
use hostd_virt::Link;

impl Core {
    /// The conditions that hold now, the worst first.
    pub async fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mut add = |level, text: String, link: Option<&str>| {
            notices.push(Notice { level, text, link: link.map(str::to_owned) });
        };
        if let Some(why) = self.cluster_health().await.stopped {
            add(
                NoticeLevel::Critical,
                format!("Nothing can be changed: the state can't be written ({why})."),
                None,
            );
        }
        if self.0.cluster.full() {
            let text = "The disk of the host's state is full: nothing new can be made. Delete images, disks or \
                        machines.";
            add(NoticeLevel::Critical, text.into(), Some("/volumes"));
        }
        if let Link::Down { reason } = &*self.0.hypervisor.link().borrow() {
            let text = format!(
                "libvirt does not answer ({reason}); running machines go on, but can't be controlled."
            );
            add(NoticeLevel::Critical, text, Some("/host"));
        }
        if let Ok(pool) = self.0.pool.space()
            && let Some((level, text)) = fullness(&pool)
        {
            add(level, text, Some("/images"));
        }
        if let Some(seconds) = self.0.clock.back_s() {
            let text = format!("The clock was set back by {seconds} s; times of events are out of order.");
            add(NoticeLevel::Warning, text, Some("/host"));
        }
        if self.settings().live {
            let text = "Live mode: everything is kept in memory and vanishes at reboot.";
            add(NoticeLevel::Warning, text.into(), Some("/help/live-mode"));
        }
        let users = self.store().users().await.unwrap_or_default();
        if users.iter().any(|user| user.initial_password) {
            let text = "The administrator's password is still the generated one; change it.";
            add(NoticeLevel::Warning, text.into(), Some("/account"));
        }
        notices.sort_by_key(|notice| match notice.level {
            NoticeLevel::Critical => 0,
            NoticeLevel::Warning => 1,
            NoticeLevel::Info => 2,
        });
        notices
    }
}

/// Tells when a pool is nearly full.
fn fullness(pool: &PoolFacts) -> Option<(NoticeLevel, String)> {
    let free = pool.free_bytes;
    let share = free as f64 / pool.total_bytes.max(1) as f64;
    let level = if share < 0.02 {
        NoticeLevel::Critical
    } else if share < 0.10 {
        NoticeLevel::Warning
    } else {
        return None;
    };
    Some((level, format!("The pool {} has only {} left; delete images or disks.", pool.name, human(free))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filling_pool_is_told_in_time() {
        let pool = |free_bytes| PoolFacts {
            name: "local".into(),
            total_bytes: 1000,
            free_bytes,
            ..PoolFacts::default()
        };
        assert!(fullness(&pool(500)).is_none());
        assert_eq!(fullness(&pool(99)).map(|n| n.0), Some(NoticeLevel::Warning));
        assert_eq!(fullness(&pool(5)).map(|n| n.0), Some(NoticeLevel::Critical));
        assert!(fullness(&PoolFacts::default()).is_some());
    }
}
