//! Institutions, devices, patients, orders, studies, objects, work, outbox and audit.
