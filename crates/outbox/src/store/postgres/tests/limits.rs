//! The limits of transactions.

use super::{Shared, Through, control, database};
use crate::store::{Lease, Store};
use crate::time::Timestamp;

#[tokio::test]
async fn a_statement_that_waits_for_a_lock_fails_on_the_server() {
    let Some(database) = database(Through::PgBouncer).await else { return };
    let shared = Shared::open(&database).await;
    let locking = control(&database).await;
    locking.batch_execute("begin; lock table pushslots.lane").await.unwrap();
    let lease = || Lease { lane: "north".to_owned(), number: 1 };
    let renew = || shared.store.renew(lease(), Timestamp(0), Timestamp(1_000));
    let (renewed, handed_back) = tokio::join!(renew(), shared.store.hand_back(lease()));
    for error in [renewed.unwrap_err(), handed_back.unwrap_err()] {
        assert!(error.0.contains("(55P03)"), "{}", error.0);
    }
    locking.batch_execute("rollback").await.unwrap();
    assert!(!renew().await.unwrap());
}
