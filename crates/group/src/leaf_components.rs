//! What our leaf says about components and wire formats (draft-ietf-mls-extensions-10, "Negotiating
//! Extensions and Components").

use crate::error::Error;
use crate::key_package::LeafParams;
use conclave_wire::{
    AppDataDictionary, Bytes, ComponentId, ComponentsList, Encode, Extension, ExtensionType,
    WireFormat, WireFormats, put_extension,
};

/// # Components
impl LeafParams {
    /// A leaf that supports these components of the application: it advertises `app_data_dictionary` and
    /// lists them in `app_components` (draft-ietf-mls-extensions-10, "Negotiating Extensions and
    /// Components"). Groups in which our leaf advertises the extension can use
    /// [`Component::export_secret`](crate::Component::export_secret).
    ///
    /// ```
    #[doc = client!()]
    /// use conclave_mls::component::{ComponentId, ComponentsList, Encode};
    ///
    /// let polls = ComponentId(0x8001);
    /// let mut alice = identity(b"alice");
    /// alice.leaf = alice.leaf.with_components(&[polls])?;
    /// // It sends authenticated data, and says something about this client.
    /// let safe_aad = ComponentsList::of(&[polls]).to_bytes()?;
    /// alice.leaf = alice.leaf.with_component(ComponentId::SAFE_AAD, safe_aad)?;
    /// alice.leaf = alice.leaf.with_component(polls, b"version 2".as_slice())?;
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the leaf has a dictionary already and it is malformed.
    pub fn with_components(self, supported: &[ComponentId]) -> Result<Self, Error> {
        let always = [ComponentId::APP_COMPONENTS, ComponentId::SAFE_AAD];
        let others = supported.iter().copied().filter(|id| !always.contains(id));
        let component_ids = always.into_iter().chain(others).collect();
        let listed = ComponentsList { component_ids }.to_bytes()?;
        self.with_component(ComponentId::APP_COMPONENTS, listed)
    }

    /// A leaf with this data for a component in its dictionary, which it advertises.
    ///
    /// # Errors
    /// If the leaf has a dictionary already and it is malformed.
    pub fn with_component(
        self,
        component_id: ComponentId,
        data: impl Into<Bytes>,
    ) -> Result<Self, Error> {
        let dictionary = AppDataDictionary::find(&self.extensions)?.unwrap_or_default();
        let extension = dictionary.with(component_id, data).to_extension()?;
        Ok(self.with_extension(extension))
    }

    /// A leaf that supports these wire formats beyond those of RFC 9420, and groups that require wire
    /// formats (draft-ietf-mls-extensions-10, "Negotiating Extensions and Components").
    ///
    /// # Errors
    /// If the list is too long to encode.
    pub fn with_wire_formats(self, supported: &[WireFormat]) -> Result<Self, Error> {
        let formats = WireFormats { wire_formats: supported.to_vec() };
        let extension = Extension::new(ExtensionType::SUPPORTED_WIRE_FORMATS, &formats)?;
        let mut leaf = self.with_extension(extension);
        // Members support the extensions of the GroupContext, too (RFC 9420, section 13.4).
        let required = ExtensionType::REQUIRED_WIRE_FORMATS;
        if !leaf.capabilities.extensions.contains(&required) {
            leaf.capabilities.extensions.push(required);
        }
        Ok(leaf)
    }

    /// Adds a GREASE component to the dictionary of a leaf and to its lists `app_components` and
    /// `safe_aad`, as far as they are there, as
    /// [`Capabilities::with_grease`](conclave_wire::Capabilities::with_grease) does to capabilities
    /// (draft-ietf-mls-extensions-10, "GREASE"). `random` should be fresh random bytes.
    ///
    /// # Errors
    /// If what the leaf says about components is malformed.
    pub fn with_component_grease(self, random: [u8; 6]) -> Result<Self, Error> {
        let Some(mut dictionary) = AppDataDictionary::find(&self.extensions)? else {
            return Ok(self);
        };
        let [a, at_a, b, at_b, c, d] = random;
        for (list, random) in
            [(ComponentId::APP_COMPONENTS, [a, at_a]), (ComponentId::SAFE_AAD, [b, at_b])]
        {
            if let Some(components) = ComponentsList::find(&dictionary, list)? {
                dictionary.set(list, components.with_grease(random).to_bytes()?.into());
            }
        }
        let extension = dictionary.with_grease([c, d]).to_extension()?;
        Ok(self.with_extension(extension))
    }

    /// A leaf with this extension, which it advertises.
    fn with_extension(mut self, extension: Extension) -> Self {
        if !self.capabilities.extensions.contains(&extension.extension_type) {
            self.capabilities.extensions.push(extension.extension_type);
        }
        put_extension(&mut self.extensions, extension);
        self
    }
}
