int @{prefix}_step(@{parameters}) {
@{checks}
  run(@{passed});
  return @{upper}_OK;
}
