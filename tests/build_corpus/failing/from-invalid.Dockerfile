FROM Bad_Image!
