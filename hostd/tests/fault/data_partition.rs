//! A data partition that can't be used.

use crate::bed::{Bed, files};
use hyper::Method;

#[tokio::test]
async fn a_failed_data_partition_is_shown_and_nothing_is_written() {
    let Some(mut bed) = Bed::start().await else { return };
    bed.stop().await;
    let before = files(&bed.state());
    let told = bed.host.socket().with_file_name("data-state");
    std::fs::write(&told, "failed: ext4 on /dev/sdb1 is <damaged>\n").unwrap();
    bed.host.spawn().unwrap();
    let page = lab::wait::until("the fault's page", crate::bed::PATIENCE, || {
        let mut http = bed.network();
        async move { Ok(Some(http.send(Method::GET, "/vms", None).await?)) }
    });
    let page = page.await.unwrap();
    assert_eq!(page.status, 503);
    assert!(page.text().contains("/dev/sdb1 is &lt;damaged&gt;"), "{}", page.text());
    assert_eq!(before, files(&bed.state()));

    std::fs::write(&told, "live\n").unwrap();
    bed.crash().await;
    assert_eq!(bed.get("banner").await["live"], true);
}
