use crate::show::Show;
use crate::{Area, Failure, Report};
use conclave_crypto::{CryptoError, CryptoProvider};
use std::fmt::{Arguments, Display};

/// The checks of one area: what they are about, and what failed.
pub(crate) struct Checks<'a> {
    pub(crate) provider: &'a dyn CryptoProvider,
    /// Private signature keys are handles: the kit passes in none of its own.
    pub(crate) opaque_signature_keys: bool,
    /// The only primitive to check.
    only: Option<&'a str>,
    area: Area,
    primitive: String,
    pub(crate) count: usize,
    pub(crate) failures: Vec<Failure>,
    pub(crate) left_out: Vec<String>,
}

impl<'a> Checks<'a> {
    pub(crate) fn new(
        provider: &'a dyn CryptoProvider,
        area: Area,
        opaque_signature_keys: bool,
        only: Option<&'a str>,
    ) -> Self {
        Self {
            provider,
            opaque_signature_keys,
            only,
            area,
            primitive: String::new(),
            count: 0,
            failures: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Begins the checks of a primitive, and returns whether to make them.
    pub(crate) fn begin(&mut self, primitive: impl Display) -> bool {
        self.primitive = primitive.to_string();
        self.only.is_none_or(|only| only == self.primitive)
    }

    /// Begins the checks of a primitive that the provider may lack, and returns whether to make them.
    pub(crate) fn begin_if(&mut self, has: bool, primitive: impl Display) -> bool {
        let wanted = self.begin(primitive);
        if wanted && !has {
            self.left_out.push(self.primitive.clone());
        }
        wanted && has
    }

    /// Checks an answer.
    pub(crate) fn equal<T: Show + PartialEq>(
        &mut self,
        case: Arguments<'_>,
        found: T,
        expected: T,
    ) {
        if found == expected {
            self.count += 1;
        } else {
            self.fail(case, expected.show(), found.show());
        }
    }

    /// Checks that an answer differs from another.
    pub(crate) fn differs<T: Show + PartialEq>(&mut self, case: Arguments<'_>, found: T, from: T) {
        if found == from {
            self.fail(case, "another answer".to_owned(), found.show());
        } else {
            self.count += 1;
        }
    }

    /// Checks that an operation succeeds, and returns its result.
    pub(crate) fn ok<T>(
        &mut self,
        case: Arguments<'_>,
        result: Result<T, CryptoError>,
    ) -> Option<T> {
        match result {
            Ok(result) => {
                self.count += 1;
                Some(result)
            }
            Err(error) => {
                self.fail(case, "a result".to_owned(), format!("Err({error:?})"));
                None
            }
        }
    }

    /// Checks that an operation is refused with one of these errors.
    pub(crate) fn refused<T: Show>(
        &mut self,
        case: Arguments<'_>,
        result: Result<T, CryptoError>,
        with: &[CryptoError],
    ) {
        if result.as_ref().is_err_and(|error| with.contains(error)) {
            self.count += 1;
        } else {
            let errors: Vec<String> = with.iter().map(|error| format!("Err({error:?})")).collect();
            self.fail(case, errors.join(" or "), result.show());
        }
    }

    /// Checks that a signature is accepted or refused, for whatever reason.
    pub(crate) fn accepted(
        &mut self,
        case: Arguments<'_>,
        result: Result<(), CryptoError>,
        accept: bool,
    ) {
        if result.is_ok() == accept {
            self.count += 1;
        } else {
            let expected = if accept { "acceptance" } else { "refusal" };
            self.fail(case, expected.to_owned(), result.show());
        }
    }

    /// Records that the provider panicked.
    pub(crate) fn panicked(&mut self, message: &str) {
        let case = format_args!("the checks after {} that passed", self.count);
        let found = format!("a panic: {message}");
        let failure = self.failure(case, "an answer".to_owned(), found);
        self.failures.push(failure);
    }

    fn fail(&mut self, case: Arguments<'_>, expected: String, found: String) {
        self.count += 1;
        let failure = self.failure(case, expected, found);
        self.failures.push(failure);
    }

    fn failure(&self, case: Arguments<'_>, expected: String, found: String) -> Failure {
        let primitive = self.primitive.clone();
        Failure { area: self.area, primitive, case: case.to_string(), expected, found }
    }
}

impl Report {
    pub(crate) fn add(&mut self, area: Checks<'_>) {
        self.checks += area.count;
        self.failures.extend(area.failures);
        self.left_out.extend(area.left_out);
    }
}
