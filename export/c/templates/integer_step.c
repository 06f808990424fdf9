void @{prefix}_step_raw(@{raw_parameters}) {
  run(@{raw_passed});
}

int @{prefix}_step(@{parameters}) {
  int status = @{upper}_OK;
@{before}
@{checks}
@{quantize}
  run(@{passed});
@{dequantize}
  return status;
}
