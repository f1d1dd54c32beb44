//! Tables of what is told: each row a variant with a number that is stored, a code, a text and a remedy.

/// Makes an enum of a table: its name and what errors call it, then a row for each variant. A text may name fields.
macro_rules! table {
    (
        $(#[$enum_doc:meta])* $enum:ident, $what:literal;
        $(
            $(#[$doc:meta])*
            $number:literal $code:literal $name:ident
            $({ $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? })?
            $text:literal $($remedy:ident)?;
        )*
    ) => {
        $(#[$enum_doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $enum {
            $($(#[$doc])* $name $({ $($(#[$field_doc])* $field: $type),* })?,)*
        }

        impl $enum {
            /// A word that never changes.
            #[must_use]
            pub fn code(&self) -> &'static str {
                match self {
                    $(Self::$name $({ $($field: _),* })? => $code,)*
                }
            }

            /// What can be done; none if nothing can, or nothing need be.
            #[must_use]
            pub fn remedy(&self) -> Option<$crate::reason::Remedy> {
                match self {
                    $(Self::$name $({ $($field: _),* })? => table!(@remedy $($remedy)?),)*
                }
            }

            /// Number, code, text and remedy of each.
            #[cfg(test)]
            pub(crate) const TABLE: &[$crate::reason::Row] =
                &[$(($number, $code, $text, table!(@remedy $($remedy)?))),*];
        }

        impl core::fmt::Display for $enum {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                match self {
                    $(Self::$name $({ $($field),* })? => {
                        $($(let $field = $crate::reason::Field::words($field);)*
                        // Not each text names each field.
                        let _ = ($(&$field),*);)?
                        write!(f, $text)
                    })*
                }
            }
        }

        impl conclave_mls::wire::codec::Encode for $enum {
            fn encode(
                &self,
                w: &mut conclave_mls::wire::codec::Writer,
            ) -> Result<(), conclave_mls::wire::codec::EncodeError> {
                match self {
                    $(Self::$name $({ $($field),* })? => {
                        let number: u16 = $number;
                        number.encode(w)?;
                        $($($crate::reason::Field::put($field, w)?;)*)?
                    })*
                }
                Ok(())
            }
        }

        impl conclave_mls::wire::codec::Decode for $enum {
            fn decode(
                r: &mut conclave_mls::wire::codec::Reader<'_>,
            ) -> Result<Self, conclave_mls::wire::codec::DecodeError> {
                Ok(match u16::decode(r)? {
                    $($number => {
                        Self::$name $({ $($field: $crate::reason::Field::take(r)?),* })?
                    })*
                    other => {
                        return Err(conclave_mls::wire::codec::DecodeError::InvalidValue {
                            field: $what,
                            value: other.into(),
                        });
                    }
                })
            }
        }
    };
    (@remedy) => { None };
    (@remedy $remedy:ident) => { Some($crate::reason::Remedy::$remedy) };
}

pub(crate) use table;
