//! Calls of the service as values, so that who decides on a call need not be who makes it.

use conclave_delivery::http_client::{Client, ClientError};
use conclave_delivery_api as api;

macro_rules! requests {
    ($($name:ident => $reply:ident),* $(,)?) => {
        /// A call to be made.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "named as in the service's API")]
        pub enum Request {
            $($name(api::$name)),*
        }

        /// What the service answered.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "named as in the service's API")]
        pub enum Reply {
            $($name(api::$reply)),*
        }

        impl Request {
            /// Makes the call and waits for the answer.
            ///
            /// # Errors
            /// As [`Client::call`].
            pub fn call(&self, client: &Client) -> Result<Reply, ClientError> {
                match self {
                    $(Self::$name(request) => client.call(request).map(Reply::$name)),*
                }
            }
        }

        $(impl From<api::$name> for Request {
            fn from(request: api::$name) -> Self {
                Self::$name(request)
            }
        })*
    };
}

requests! {
    DescribeService => ServiceInfo,
    SubmitAccount => AccountHead,
    OpenSession => OpenedSession,
    PutRelay => RelayStored,
    FetchRelay => RelayContent,
    FetchAccount => AccountPage,
    FetchExtension => ExtensionProof,
    FetchHistory => DirectoryPage,
    SubmitCertificate => CertificateTaken,
    FetchCertificates => CertificatesPage,
    PublishKeyPackages => Published,
    CountKeyPackages => KeyPackageCounts,
    ReplaceKeyPackages => Published,
    ClaimKeyPackages => ClaimedKeyPackages,
    CreateGroup => Created,
    ResetGroup => WasReset,
    RestoreLog => LogRestored,
    SubmitCommit => Outcome,
    SubmitProposal => Outcome,
    SendMessage => Outcome,
    FetchLog => LogPage,
    FetchLinkedGroup => GroupState,
    FetchInbox => InboxPage,
    AckInbox => Acknowledged,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sent, it would be cut off on the way, which looks as if nobody answered.
    #[test]
    fn what_no_service_takes_is_refused_before_it_is_sent() {
        let nobody = Client::new("http://127.0.0.1:1");
        let send = |len| {
            let message = vec![0; len].into();
            Request::from(api::SendMessage { message }).call(&nobody).unwrap_err()
        };
        assert_eq!(send(api::MAX_BODY).code(), Some(api::ErrorCode::TooLarge));
        assert!(send(1).is_temporary());
    }
}
