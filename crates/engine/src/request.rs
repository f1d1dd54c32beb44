//! Calls of the service as values, so that who decides on a call need not be who makes it.

use conclave_delivery_api as api;

/// What makes calls: an HTTP client, or a service in the same process.
pub trait Transport {
    /// Why there is no reply.
    type Error;

    /// Calls an operation and waits for the reply.
    ///
    /// # Errors
    /// If there is none.
    fn call<C: api::Call>(&mut self, request: &C) -> Result<C::Reply, Self::Error>;
}

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
            /// Makes the call and waits for the reply.
            ///
            /// # Errors
            /// Those of the transport.
            pub fn call<T: Transport>(&self, transport: &mut T) -> Result<Reply, T::Error> {
                match self {
                    $(Self::$name(request) => transport.call(request).map(Reply::$name)),*
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
    MarkState => StateMarked,
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
    SendMessages => SentMessages,
    FetchLog => LogPage,
    FetchLinkedGroup => GroupState,
    FetchGroupInfo => GroupState,
    FetchInbox => InboxPage,
    AckInbox => Acknowledged,
}
