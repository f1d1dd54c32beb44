#![doc = include_str!("index.md")]

pub mod getting_started {
    #![doc = include_str!("getting_started.md")]
}

pub mod steps {
    #![doc = include_str!("steps.md")]
}

pub mod members {
    #![doc = include_str!("members.md")]
}

pub mod commits {
    #![doc = include_str!("commits.md")]
}

pub mod joining {
    #![doc = include_str!("joining.md")]
}

pub mod messages {
    #![doc = include_str!("messages.md")]
}

pub mod targeted_messages {
    #![doc = include_str!("targeted_messages.md")]
}

pub mod recovery {
    #![doc = include_str!("recovery.md")]
}

pub mod storage {
    #![doc = include_str!("storage.md")]
}

pub mod credentials {
    #![doc = include_str!("credentials.md")]
}

pub mod policies {
    #![doc = include_str!("policies.md")]
}

pub mod extensions {
    #![doc = include_str!("extensions.md")]
}

pub mod components {
    #![doc = include_str!("components.md")]
}

pub mod linked_groups {
    #![doc = include_str!("linked_groups.md")]
}

pub mod delivery_service {
    #![doc = include_str!("delivery_service.md")]
}

pub mod post_quantum {
    #![doc = include_str!("post_quantum.md")]
}

pub mod errors {
    #![doc = include_str!("errors.md")]
}

pub mod checklist {
    #![doc = include_str!("checklist.md")]
}

pub mod attacks {
    #![doc = include_str!("attacks.md")]
}

pub mod defaults {
    #![doc = include_str!("defaults.md")]
}
