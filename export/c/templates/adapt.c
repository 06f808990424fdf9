
void @{prefix}_adapt(@{parameters}) {
  learn(@{passed});
}

@{saving}
