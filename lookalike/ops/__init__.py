"""The ground: tensors in, tensors out, no opinions. A folder here means "this op has kernels"."""
