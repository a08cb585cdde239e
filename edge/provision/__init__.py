"""The operator's side of identity: claims, approval, certificates, revocation. Not on a gateway."""
