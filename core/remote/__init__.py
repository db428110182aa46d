"""Object stores: a folder, S3, or a public library over HTTPS, behind one small protocol."""
