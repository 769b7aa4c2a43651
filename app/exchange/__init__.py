"""Model versions from elsewhere, and to elsewhere: HTTPS, the Hugging Face Hub, S3."""
