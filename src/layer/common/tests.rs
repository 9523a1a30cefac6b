use super::*;
use crate::layer::tests::plan;

#[tokio::test(start_paused = true)]
async fn a_lease_renewed_at_the_last_moment_lives_on() {
    let common = Common::default();
    let id = common.arm(0, Arc::new(plan(&[])), Duration::from_secs(2)).unwrap();
    let lease = common.in_force(0).unwrap();
    // A request has seen the lease run out, and before it can say so somebody renews.
    let ttl = Some(Duration::from_secs(2));
    common.change(id, Change { ttl, ..Change::default() }).unwrap();
    common.expire(0, &lease);
    assert_eq!(common.in_force(0).map(|lease| lease.id), Some(id));
    assert!(lease.is_live(Instant::now()));
}
