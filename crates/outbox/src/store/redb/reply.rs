//! The reply to a request for a lease, which must not get lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use tokio::sync::oneshot::{Receiver, error::RecvError};

use crate::error::StoreError;
use crate::store::Leased;

use super::writer::Message;

/// The reply to a request for a lease. If it is dropped before the lease is received, the lease
/// ends. Otherwise its lane would wait until the time of the lease is over.
pub(super) struct LeaseReply {
    pub(super) receiver: Receiver<Result<Leased, StoreError>>,
    pub(super) requests: Option<Sender<Message>>,
}

impl Future for LeaseReply {
    type Output = Result<Result<Leased, StoreError>, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(context)
    }
}

impl Drop for LeaseReply {
    fn drop(&mut self) {
        // From here on, the writer notices that nobody waits for the lease.
        self.receiver.close();
        if let Ok(Ok(Leased::Entry { lease, .. })) = self.receiver.try_recv()
            && let Some(requests) = &self.requests
        {
            let _ = requests.send(Message::End(lease));
        }
    }
}
