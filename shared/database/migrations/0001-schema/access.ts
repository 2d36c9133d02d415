/** Tokens of the API (their hashes), and sessions of browsers that were ended before they expired. */
export const ACCESS: readonly string[] = [
  `api_tokens (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    name VARCHAR(100) NOT NULL,
    token_hash BINARY(32) NOT NULL UNIQUE,
    scopes JSON NOT NULL,
    created_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    revoked_at DATETIME(3) NULL,
    last_used_at DATETIME(3) NULL,
    KEY by_name (name)
  )`,
  `ended_sessions (
    name VARCHAR(300) NOT NULL PRIMARY KEY,
    ended_at DATETIME(3) NOT NULL,
    expires_at DATETIME(3) NOT NULL,
    KEY by_expiry (expires_at)
  )`,
]
