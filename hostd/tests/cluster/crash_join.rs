//! kill -9 of the joiner or of its sponsor in the middle of a join: it completes, or can be done again.

use crate::admin::PATIENCE;
use crate::fleet::Hosts;
use lab::wait;
use serde_json::json;
use std::time::Duration;

/// How many joins are disturbed.
const ROUNDS: u32 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_join_survives_the_death_of_either_side() {
    let Some(mut hosts) = Hosts::start(2).await else { return };
    let given = std::env::var("QUANTIX_CRASH_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random: u32 = given.unwrap_or_else(std::process::id);
    eprintln!("QUANTIX_CRASH_SEED={random}");
    let guest = hosts.admin(1).create_vm("guest", json!({"start": true})).await;
    hosts.admin(1).vm_is(&guest, "running").await;
    let process = hosts.qemu(1, &guest);
    for round in 0..ROUNDS {
        let victim = usize::from(round % 2 == 0);
        let token = hosts.invite(0).await;
        assert_eq!(hosts.ask_to_join(1, &token).await.status, 202, "round {round}");
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The point of the kill is what this test varies: it waits for a moment, not for a state.
        tokio::time::sleep(Duration::from_millis(u64::from(random >> 16) % 400)).await;
        hosts.crash(victim).unwrap();
        hosts.restart(victim).await.unwrap();
        let what = format!("round {round}: the end of a join whose {victim} was killed");
        let end = wait::until(&what, PATIENCE, || async {
            let view = hosts.admin(1).view().await?;
            let condition = view["condition"].as_str().unwrap_or_default().to_owned();
            anyhow::ensure!(condition != "moving", "still moving");
            Ok(Some(condition))
        });
        let end = end.await.unwrap_or_else(|error| panic!("{error:#}\n{}", hosts.host(1).log_tail()));
        eprintln!("round {round}: killed {victim}, {end}");
        if end != "member" {
            assert_eq!(end, "alone", "round {round}");
            hosts.join(1, 0).await;
        }
        hosts.is_member(1, 0).await;
        hosts.members_are(0, &[0, 1]).await;
        hosts.all_list(&[0, 1], &[&guest]).await;
        assert_eq!(hosts.qemu(1, &guest), process, "round {round}: the guest was touched");
        assert_eq!(hosts.admin(0).names("vms").await, ["guest"], "round {round}: once, and by its name");

        let answer = hosts.admin(1).post("cluster/leave", json!({"confirm": "h2"})).await;
        assert!(answer.status.is_success(), "round {round}: {}", answer.text());
        hosts.admin(1).sees("h2 alone", |view| view["condition"] == "alone").await;
        hosts.members_are(0, &[0]).await;
    }
}
